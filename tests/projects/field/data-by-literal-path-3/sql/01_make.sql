create table items (id int);
