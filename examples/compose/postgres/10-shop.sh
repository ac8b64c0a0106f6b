#!/bin/sh
# Run once, by the image of PostgreSQL, on an empty volume: a database for the history, and the demo shop with a role
# that can only read.
set -eu
psql -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\set history_password `cat /run/secrets/history_password`
\set reader_password `cat /run/secrets/reader_password`

CREATE ROLE history LOGIN PASSWORD :'history_password' CONNECTION LIMIT 40;
CREATE DATABASE awaitsql OWNER history;
REVOKE CONNECT ON DATABASE awaitsql FROM PUBLIC;

CREATE ROLE reader LOGIN PASSWORD :'reader_password' CONNECTION LIMIT 40;
ALTER ROLE reader SET default_transaction_read_only = on;
CREATE DATABASE shop;
REVOKE CONNECT, TEMPORARY ON DATABASE shop FROM PUBLIC;
GRANT CONNECT ON DATABASE shop TO reader;

\connect shop
CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL, city text NOT NULL);
CREATE TABLE orders (
    id integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers,
    ordered_on date NOT NULL,
    amount numeric(10, 2) NOT NULL
);
INSERT INTO customers
SELECT n, 'Customer ' || n, (ARRAY['Berlin', 'Lyon', 'Porto', 'Oslo'])[1 + n % 4] FROM generate_series(1, 500) AS n;
INSERT INTO orders
SELECT n, 1 + n % 500, DATE '2026-01-01' + n % 300, (n % 9000) / 100.0 + 1 FROM generate_series(1, 20000) AS n;
GRANT USAGE ON SCHEMA public TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
ANALYZE;
SQL
