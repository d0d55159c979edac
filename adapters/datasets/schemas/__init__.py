"""One file per task that can be trained: ``SCHEMA`` names the columns that its data need."""
