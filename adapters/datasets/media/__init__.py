"""Data sets of files in a zip, whatever the files are: what folders and lists in it say of them, and how they are judged.

``pictures`` and ``sounds`` each describe one ``Medium``: which files count, what is measured of them, what they can carry.
"""
