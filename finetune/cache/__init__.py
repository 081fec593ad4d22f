"""What is kept on disk between runs: its entries, who uses them, and the room they may take."""

from finetune.cache.entries import Entry
from finetune.cache.folder import CacheFolder, Cleaning, default_cache_folder
from finetune.cache.marks import UseMark

__all__ = ["CacheFolder", "Cleaning", "Entry", "UseMark", "default_cache_folder"]
