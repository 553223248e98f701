"""Workers that begin at once: forked from a process that has imported torch, in place of an import each. Linux only."""
