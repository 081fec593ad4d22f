"""`python -m finetune`: the command line."""

from finetune.cli.process import run_process

if __name__ == "__main__":
    run_process()
