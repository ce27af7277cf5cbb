create table runs (id int);
