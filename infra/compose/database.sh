#!/bin/sh
# What a new PostgreSQL gets at its first start: the role of the services, its database and the extension it needs.
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$QUIRE_PASSWORD" --username=postgres <<'SQL'
-- No superuser, so that row-level security holds for it; CREATEROLE lets migrations make narrower roles.
CREATE ROLE quire LOGIN CREATEROLE NOSUPERUSER NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE quire OWNER quire;
\connect quire
CREATE EXTENSION vector;
SQL
