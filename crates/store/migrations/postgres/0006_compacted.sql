-- What 0005 set aside is empty by now.

DROP TABLE old_entry;
DROP TABLE old_record;
DROP TABLE old_term;
DROP TABLE old_once;
DROP TABLE old_due;
DROP TABLE old_last_use;
DROP TABLE last_used;
