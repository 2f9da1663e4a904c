"""The schemas, oldest first; a file that was released is never edited again."""
