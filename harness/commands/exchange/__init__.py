"""`bitbench import` and `bitbench export`: files of other benchmark tools."""
