-- The demo shop's tables, for DuckDB and SQLite. A line "-- text" before a table, or behind a column, is its comment
-- in DuckDB and stays in SQLite's own copy of this text. Lines ending in "-- enforced in SQLite only" are left out of
-- DuckDB, where checking millions of keys would take longer than making the rows.

-- Everyone who ever signed up. Includes test accounts of our own staff (is_test).
CREATE TABLE customers (
  customer_id INTEGER PRIMARY KEY, -- key
  name VARCHAR NOT NULL, -- full name, made up
  email VARCHAR NOT NULL, -- unique, made up
  country VARCHAR, -- ISO 3166 two letters; NULL where the customer never told
  segment VARCHAR NOT NULL, -- consumer, business or reseller
  signed_up_on DATE NOT NULL, -- never after the first order
  marketing_opt_in BOOLEAN NOT NULL, -- may be written to
  is_test BOOLEAN NOT NULL -- true: an account of our own staff, not a customer; leave out of every figure
);

-- What the shop sells or sold. List prices are in EUR, without tax.
CREATE TABLE products (
  product_id INTEGER PRIMARY KEY, -- key
  sku VARCHAR NOT NULL, -- unique code on the box
  name VARCHAR NOT NULL, -- as shown in the shop
  category VARCHAR NOT NULL, -- one of eight
  brand VARCHAR, -- NULL for own brand
  list_price DECIMAL(10, 2) NOT NULL, -- EUR, net
  unit_cost DECIMAL(10, 2) NOT NULL, -- EUR, what we pay
  launched_on DATE NOT NULL, -- first day on sale
  discontinued_on DATE -- last day on sale; NULL while on sale
);

-- One EUR in other currencies, by day.
CREATE TABLE exchange_rates (
  day DATE NOT NULL, -- of the rate
  currency VARCHAR NOT NULL, -- EUR, GBP or USD
  per_eur DECIMAL(10, 4) NOT NULL, -- units of the currency for one EUR; divide an amount by it to get EUR
  PRIMARY KEY (day, currency)
);

-- One row an order, also the cancelled and refunded ones. Amounts are in the order's own currency.
CREATE TABLE orders (
  order_id INTEGER PRIMARY KEY, -- key
  customer_id INTEGER NOT NULL, -- who ordered
  status VARCHAR NOT NULL, -- processing, shipped, delivered, cancelled or refunded
  channel VARCHAR NOT NULL, -- web, app or phone
  ordered_at TIMESTAMP NOT NULL, -- when it was placed, UTC; sales are counted by this date
  shipped_at TIMESTAMP, -- when it left us, UTC; NULL if it never did or not yet
  currency VARCHAR NOT NULL, -- EUR, GBP or USD; never add up different ones, see exchange_rates
  net_amount DECIMAL(12, 2) NOT NULL, -- the items after discount, without tax and shipping
  gross_amount DECIMAL(12, 2) NOT NULL, -- what the customer paid: net, tax and shipping
  coupon_code VARCHAR -- NULL for most
  , FOREIGN KEY (customer_id) REFERENCES customers (customer_id)
);

-- The lines of each order. order_id points to orders, product_id to products.
CREATE TABLE order_items (
  order_id INTEGER NOT NULL, -- points to orders
  line_no INTEGER NOT NULL, -- from 1 within the order
  product_id INTEGER NOT NULL, -- points to products
  quantity INTEGER NOT NULL, -- pieces
  unit_price DECIMAL(10, 2) NOT NULL, -- net, in the order's currency, before discount
  discount DECIMAL(4, 2) -- share taken off (0.10 is ten percent); NULL for none
  , PRIMARY KEY (order_id, line_no) -- enforced in SQLite only
  , FOREIGN KEY (order_id) REFERENCES orders (order_id) -- enforced in SQLite only
  , FOREIGN KEY (product_id) REFERENCES products (product_id) -- enforced in SQLite only
);

-- Attempts to pay. An order may have a failed attempt before the one that was captured.
CREATE TABLE payments (
  payment_id INTEGER NOT NULL, -- key
  order_id INTEGER NOT NULL, -- points to orders
  method VARCHAR NOT NULL, -- card, paypal, invoice or transfer
  status VARCHAR NOT NULL, -- captured, failed or voided; only captured is money
  paid_at TIMESTAMP NOT NULL, -- of the attempt, UTC
  amount DECIMAL(12, 2) NOT NULL -- gross, in the order's currency
  , PRIMARY KEY (payment_id) -- enforced in SQLite only
  , FOREIGN KEY (order_id) REFERENCES orders (order_id) -- enforced in SQLite only
);

-- Money given back. orders.net_amount and gross_amount are not reduced by it: subtract it, or revenue is overstated.
CREATE TABLE refunds (
  refund_id INTEGER PRIMARY KEY, -- key
  order_id INTEGER NOT NULL, -- points to orders
  refunded_at TIMESTAMP NOT NULL, -- UTC, days after the order and often in another month
  amount DECIMAL(12, 2) NOT NULL, -- gross, in the order's currency; the whole order or a part
  reason VARCHAR, -- NULL where nobody wrote one down
  FOREIGN KEY (order_id) REFERENCES orders (order_id)
);

-- What visitors did in the shop. Events of one visit share session_id.
CREATE TABLE web_events (
  event_id INTEGER NOT NULL, -- key
  session_id INTEGER NOT NULL, -- one visit
  customer_id INTEGER, -- points to customers; NULL for visitors who were not signed in
  event_type VARCHAR NOT NULL, -- search, view, add_to_cart, checkout or purchase
  product_id INTEGER, -- points to products; NULL for search and checkout
  occurred_at TIMESTAMP NOT NULL, -- UTC
  device VARCHAR NOT NULL -- desktop, mobile or tablet
  , PRIMARY KEY (event_id) -- enforced in SQLite only
  , FOREIGN KEY (customer_id) REFERENCES customers (customer_id) -- enforced in SQLite only
  , FOREIGN KEY (product_id) REFERENCES products (product_id) -- enforced in SQLite only
);
