"""Models that other programs wrote: their files and objects, read as named arrays and as layers."""
