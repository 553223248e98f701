"""The commands of `bitbench`, one a module; each module offers its click command as `command`."""
