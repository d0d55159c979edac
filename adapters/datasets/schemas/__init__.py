"""One file per task that can be trained: ``SCHEMA`` says what columns, files and layouts its data need."""
