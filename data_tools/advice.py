"""What each check of the audit means, and what to do about it: for tables, pages and the documentation."""

ADVICE = {
    "unreadable": ("A file that is no image we read, or a broken one. It is skipped.", "Fetch or convert it again."),
    "odd_file": ("A file that is not quite what it seems; or files that were walked past.", "Look at it once."),
    "duplicate": ("Equal files in one split.", "Keep one; two labels or none of them is better looked up."),
    "duplicate_across_splits": (
        "Equal files in two splits: the test part is not unseen. Stops a run where the data bring the splits.",
        "Cut anew with --resplit, or take one of them out.",
    ),
    "near_duplicate": ("The same picture in two files: saved anew, resized, turned or mirrored.", "Keep one of them."),
    "near_duplicate_across_splits": (
        "The same picture, in different files, in two splits.",
        "Cut anew with --resplit --set data.join_near_duplicates=true, or take one of them out.",
    ),
    "label_conflict": ("One picture under two labels, or labels that differ in case or spaces alone.", "Find out."),
    "group_leakage": (
        "A patient, slide or source image in two splits: the report would flatter. Stops a run.",
        "Cut anew with --resplit, keeping --group.",
    ),
    "seen_in_training": (
        "An image that the run has trained on or chosen by: its report would flatter. Stops `finetune evaluate`.",
        "Take them out.",
    ),
    "shortcut": (
        "Labels can be told without looking at the picture: a model will find that too.",
        "Take pictures of all classes in the same way, or crop, resize and save them alike before training.",
    ),
    "class_imbalance": ("One class has at least three times the images of another.", "Read the numbers by class."),
    "small_class": ("A class with under ten images, or with none in a split.", "Collect more, or merge classes."),
    "mixed_sizes": ("Pictures of different sizes; all are brought to the network's.", "Nothing, if it fits the use."),
    "mixed_modes": ("Grey, colour, palettes side by side; all are read as RGB.", "See that no class has its own."),
    "blank_image": ("Every pixel has the same colour.", "Take it out."),
    "tiny_image": ("A side under eight pixels.", "Take it out, or see that all are small."),
    "ignored_folder": ("A folder beside train, val and test.", "Rename it if it should be read."),
    "scaling": ("How 16-bit and float values became 256 levels.", "See that the range is that of what matters."),
    "split_rule": ("Where train, val and test come from.", "Nothing."),
}
"""By check: what it says, what to do."""
