"""What people and machines read: tables, pages, figures. Imports what is slow late."""
