#!/bin/bash
# A linked worktree of a repository with a submodule, whose folder was filled by a linked worktree of the submodule's own repository:
# `git submodule update` there has nothing to do, and yet it changes the settings of the submodule in the *first* working tree.
#
# Version: git 2.39.5. No package is needed, and none of this project's code takes part.
# Expected: the right commit is checked out already, so nothing changes; least of all in a working tree that was not named.
# Seen: core.worktree in .git/modules/kern/config, which the first working tree reads, is written anew, as a path from the linked worktree's own folder
#       of git. It leads nowhere from where the first one reads it: `git status` in first/kern, where nothing was done, ends with "cannot chdir".
#       A tool that checks out two revisions side by side and runs a user's build in them must not fill submodules so.
# Output seen:
#   core.worktree before: ../../../kern
#   core.worktree after:  ../../../../../../second/kern
#   git status in first/kern, where nothing was done: 128
# Ends with a status other than 0 when this is not so any more.
set -euo pipefail
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@localhost GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@localhost
git --version
git init -q "$W/kern"; echo 1 > "$W/kern/a"; git -C "$W/kern" add a; git -C "$W/kern" commit -qm one
git init -q "$W/first"; git -C "$W/first" -c protocol.file.allow=always submodule --quiet add "$W/kern" kern; git -C "$W/first" commit -qm one
git -C "$W/first" worktree add -q --detach "$W/second"
git -C "$W/first/kern" worktree add -q --detach "$W/second/kern"
settings=$W/first/.git/modules/kern/config
before=$(git config -f "$settings" core.worktree)
git -C "$W/second" submodule update --init
after=$(git config -f "$settings" core.worktree)
status=0; git -C "$W/first/kern" status --porcelain > /dev/null 2>&1 || status=$?
echo "core.worktree before: $before"; echo "core.worktree after:  $after"; echo "git status in first/kern, where nothing was done: $status"
[ "$before" = ../../../kern ] && [ "$after" != "$before" ] && [ "$status" != 0 ]
