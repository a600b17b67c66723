create table effects (what text not null, subject text not null);
