"""Data sets of files in a zip, whatever the files are: what folders and lists say of them, and how they are judged.

``pictures`` and ``sounds`` each describe one ``Medium``: which files count, what is measured of them and what
they can carry.
"""
