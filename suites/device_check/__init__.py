"""`make device-check`: all that only a GPU can show, in one go and a limited time, with a summary of one page.

`plan` says what is done, as command lines of the ordinary program; `carry_out` runs them one after the other; `summary`
reads what they have left, after every step, so that a crash, a hang or a kill costs a step and not the rest. The other
modules are the sections of the summary. Nothing here imports torch.
"""
