"""Names of columns, splits, states, severities and checks, spelled in one place."""

PATH, LABEL, GROUP, SPLIT = "path", "label", "group", "split"
STATUS, REASON, SHA256, WIDTH, HEIGHT, MODE = "status", "reason", "sha256", "width", "height", "mode"
DATASET_COLUMNS = (PATH, LABEL, GROUP, SPLIT, STATUS, REASON, SHA256, WIDTH, HEIGHT, MODE)

CHECK, SEVERITY, OTHER_PATH, DETAIL = "check", "severity", "other_path", "detail"
FINDING_COLUMNS = (CHECK, SEVERITY, PATH, OTHER_PATH, DETAIL)

TRAIN, VAL, TEST = "train", "val", "test"
SPLITS = (TRAIN, VAL, TEST)

OK, SKIPPED = "ok", "skipped"

ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)

CHECKS = (
    "unreadable",
    "odd_file",
    "duplicate",
    "duplicate_across_splits",
    "near_duplicate",
    "near_duplicate_across_splits",
    "label_conflict",
    "group_leakage",
    "seen_in_training",
    "shortcut",
    "class_imbalance",
    "small_class",
    "mixed_sizes",
    "mixed_modes",
    "blank_image",
    "tiny_image",
    "ignored_folder",
    "scaling",
    "split_rule",
)
