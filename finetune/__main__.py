"""`python -m finetune`: the command line."""

from finetune.cli.main import main

if __name__ == "__main__":
    main()
