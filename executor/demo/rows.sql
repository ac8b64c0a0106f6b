-- The demo shop's rows, made by DuckDB. The same every time: nothing is random, all is arithmetic on row numbers
-- (DuckDB's own hash() may change between versions). Variables set before: customers, products, orders, sessions.

-- A whole number of 0 .. 2147483646 that looks random, another one for each salt; and the same as a share of 1.
CREATE TEMP MACRO mixed(n, salt) AS
  (((n::BIGINT * 48271 + salt * 69621) % 2147483647) * ((n::BIGINT * 48271 + salt * 69621) % 2147483647)
    + salt * 12345) % 2147483647;
CREATE TEMP MACRO share(n, salt) AS mixed(n, salt) / 2147483647.0;
CREATE TEMP MACRO pick(n, salt, list) AS list[(1 + mixed(n, salt) % len(list))::INTEGER];

-- Few customers buy most: a tenth of them make 44 % of the orders. Ranks are spread over the ids, so that a low id
-- means nothing.
CREATE TEMP MACRO customer_of(n, salt) AS
  (1 + (floor(getvariable('customers') * least((pow(share(n, salt) + 0.1, 3.2) - 0.00063) / 1.35595, 0.9999999))::BIGINT
    * 7919 + 13) % getvariable('customers'))::INTEGER;
CREATE TEMP MACRO product_of(n, salt) AS
  (1 + (floor(getvariable('products') * pow(share(n, salt), 2.0))::BIGINT * 7 + 3) % getvariable('products'))::INTEGER;

-- Three years, each day with its weight: growth, months, days of the week.
CREATE TEMP TABLE calendar AS
SELECT day, weight, (sum(weight) OVER (ORDER BY day) - weight)::BIGINT AS before, (sum(weight) OVER ())::BIGINT AS whole
FROM (
  SELECT day,
    (100 + date_diff('day', DATE '2023-01-01', day) * 60 // 1096)
      * [80, 75, 85, 90, 95, 90, 85, 80, 95, 105, 140, 160][month(day)]
      * [100, 95, 95, 100, 110, 125, 115][isodow(day)] AS weight
  FROM (SELECT unnest(range(DATE '2023-01-01', DATE '2026-01-01', INTERVAL 1 DAY))::DATE AS day)
);

INSERT INTO products
SELECT i + 1,
  'SKU-' || lpad((i * 37 % 10000)::VARCHAR, 4, '0') || '-' || chr((65 + i % 26)::INTEGER),
  pick(i, 1, ['Nordic', 'Compact', 'Classic', 'Ultra', 'Everyday', 'Studio', 'Travel', 'Garden', 'Pocket', 'Pro'])
    || ' ' || pick(i, 2, ['Lamp', 'Kettle', 'Backpack', 'Headphones', 'Notebook', 'Chair', 'Bottle', 'Keyboard', 'Jacket',
    'Tent', 'Blender', 'Mug', 'Camera', 'Speaker', 'Puzzle', 'Rug']) || ' ' || (i + 1),
  pick(i, 3, ['kitchen', 'lighting', 'outdoor', 'audio', 'office', 'clothing', 'toys', 'garden']),
  CASE WHEN mixed(i, 4) % 10 < 7 THEN pick(i, 5, ['Alder', 'Borealis', 'Cobalt', 'Dovetail', 'Ember', 'Fjord']) END,
  (4 + floor(pow(share(i, 6), 3) * 500) + 0.99)::DECIMAL(10, 2),
  ((4 + floor(pow(share(i, 6), 3) * 500) + 0.99) * (45 + mixed(i, 7) % 30) / 100)::DECIMAL(10, 2),
  DATE '2020-01-01' + (mixed(i, 8) % 1096)::INTEGER,
  CASE WHEN mixed(i, 9) % 12 = 0 THEN DATE '2024-06-01' + (mixed(i, 10) % 570)::INTEGER END
FROM range(getvariable('products')) AS t(i);

INSERT INTO exchange_rates
SELECT day, currency, (base * (1 + 0.03 * sin(date_diff('day', DATE '2023-01-01', day) / wave)))::DECIMAL(10, 4)
FROM calendar, (VALUES ('EUR', 1.0, 1e12), ('GBP', 0.86, 90.0), ('USD', 1.08, 70.0)) AS c(currency, base, wave);

-- On which day each order and each visit falls. Tables of their own, so that several threads read them below.
CREATE TEMP TABLE placed AS
SELECT day, unnest(range(1 + getvariable('orders') * before // whole,
  1 + getvariable('orders') * (before + weight) // whole)) AS order_id
FROM calendar;

CREATE TEMP TABLE visited AS
SELECT day, unnest(range(1 + getvariable('sessions') * before // whole,
  1 + getvariable('sessions') * (before + weight) // whole)) AS session_id
FROM calendar;

-- Lines first: an order's amounts are the sums of its lines.
CREATE TEMP TABLE line AS
SELECT order_id, line_no::INTEGER AS line_no, product_of(n, 21) AS product_id,
  CASE WHEN mixed(n, 22) % 10 < 7 THEN 1 WHEN mixed(n, 22) % 10 < 9 THEN 2 ELSE 3 + mixed(n, 23) % 6 END::INTEGER AS quantity,
  CASE WHEN mixed(n, 24) % 8 = 0 THEN (5 * (1 + mixed(n, 25) % 6) / 100.0)::DECIMAL(4, 2) END AS discount
FROM (
  SELECT order_id, line_no, order_id * 8::BIGINT + line_no AS n
  FROM (
    SELECT order_id,
      unnest(range(1, [2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6, 7, 8][1 + mixed(order_id, 20) % 20])) AS line_no
    FROM placed
  )
);

CREATE TEMP TABLE head AS
SELECT *,
  CASE WHEN mixed(order_id, 33) % 100 < 6 THEN 'cancelled'
    WHEN ordered_at >= TIMESTAMP '2025-12-29' THEN 'processing'
    WHEN mixed(order_id, 33) % 100 < 9 THEN 'refunded'
    WHEN ordered_at >= TIMESTAMP '2025-12-20' THEN 'shipped'
    ELSE 'delivered' END AS status,
  CASE country WHEN 'GB' THEN 'GBP' WHEN 'US' THEN 'USD' ELSE 'EUR' END AS currency
FROM (
  SELECT order_id, customer_of(order_id, 31) AS customer_id,
    (day + INTERVAL 6 HOUR)::TIMESTAMP + to_seconds(mixed(order_id, 32) % 64000) AS ordered_at
  FROM placed
) JOIN (
  SELECT i + 1 AS customer_id,
    CASE WHEN mixed(i, 11) % 100 >= 7 THEN
      pick(i, 12, ['DE', 'DE', 'DE', 'DE', 'FR', 'FR', 'NL', 'AT', 'ES', 'IT', 'PL', 'GB', 'GB', 'GB', 'US', 'US', 'US'])
    END AS country
  FROM range(getvariable('customers')) AS t(i)
) USING (customer_id);

INSERT INTO customers
SELECT i + 1, first || ' ' || last, lower(first || '.' || last) || '.' || (i + 1) || '@example.com',
  CASE WHEN mixed(i, 11) % 100 >= 7 THEN
    pick(i, 12, ['DE', 'DE', 'DE', 'DE', 'FR', 'FR', 'NL', 'AT', 'ES', 'IT', 'PL', 'GB', 'GB', 'GB', 'US', 'US', 'US'])
  END,
  CASE WHEN mixed(i, 13) % 100 < 82 THEN 'consumer' WHEN mixed(i, 13) % 100 < 97 THEN 'business' ELSE 'reseller' END,
  coalesce(first_order::DATE - (mixed(i, 14) % 120)::INTEGER, DATE '2023-01-01' + (mixed(i, 14) % 1096)::INTEGER),
  mixed(i, 15) % 100 < 38,
  mixed(i, 16) % 250 = 0
FROM (
  SELECT i,
    pick(i, 17, ['Anna', 'Ben', 'Carla', 'David', 'Elif', 'Finn', 'Grace', 'Hugo', 'Ines', 'Jonas', 'Klara', 'Luca', 'Mia',
      'Noah', 'Olga', 'Paul', 'Rosa', 'Sami', 'Tom', 'Vera']) AS first,
    pick(i, 18, ['Adler', 'Bauer', 'Costa', 'Dubois', 'Evans', 'Fischer', 'Garcia', 'Hansen', 'Ivanov', 'Jansen', 'Keller',
      'Lopez', 'Meyer', 'Novak', 'Olsen', 'Petit', 'Rossi', 'Smith', 'Turner', 'Vogel']) AS last
  FROM range(getvariable('customers')) AS t(i)
) LEFT JOIN (SELECT customer_id, min(ordered_at) AS first_order FROM head GROUP BY customer_id) ON customer_id = i + 1
ORDER BY i;

INSERT INTO order_items
SELECT l.order_id, l.line_no, l.product_id, l.quantity,
  (p.list_price * CASE h.currency WHEN 'GBP' THEN 0.86 WHEN 'USD' THEN 1.08 ELSE 1.0 END)::DECIMAL(10, 2),
  l.discount
FROM line AS l JOIN products AS p USING (product_id) JOIN head AS h USING (order_id)
ORDER BY l.order_id, l.line_no;

INSERT INTO orders
SELECT order_id, customer_id, status,
  pick(order_id, 34, ['web', 'web', 'web', 'web', 'web', 'app', 'app', 'app', 'phone']),
  ordered_at,
  CASE WHEN status NOT IN ('cancelled', 'processing')
    THEN ordered_at + to_seconds(20000 + mixed(order_id, 35) % 300000) END,
  currency, net,
  (net * 1.2 + CASE WHEN net < 50 THEN 4.90 ELSE 0 END)::DECIMAL(12, 2),
  CASE WHEN mixed(order_id, 36) % 100 < 9 THEN pick(order_id, 37, ['WELCOME10', 'SPRING', 'BLACKFRIDAY', 'VIP', 'SORRY5']) END
FROM head JOIN (
  SELECT order_id, sum((quantity * unit_price * (1 - coalesce(discount, 0)))::DECIMAL(12, 2))::DECIMAL(12, 2) AS net
  FROM order_items GROUP BY order_id
) USING (order_id)
ORDER BY order_id;

INSERT INTO payments
SELECT order_id * 2 + try - 2, order_id,
  pick(order_id, 41, ['card', 'card', 'card', 'paypal', 'paypal', 'invoice', 'transfer']),
  CASE WHEN try < tries THEN 'failed' WHEN status = 'cancelled' THEN 'voided' ELSE 'captured' END,
  ordered_at + to_seconds(60 * try + mixed(order_id, 42) % 50), gross_amount
FROM (
  SELECT *, unnest(range(1, tries + 1)) AS try
  FROM (SELECT order_id, status, ordered_at, gross_amount, CASE WHEN mixed(order_id, 43) % 25 = 0 THEN 2 ELSE 1 END AS tries
    FROM orders)
);

INSERT INTO refunds
SELECT row_number() OVER (ORDER BY order_id), order_id,
  least(shipped_at + to_seconds(200000 + mixed(order_id, 51) % 3000000), TIMESTAMP '2025-12-31 23:00:00'),
  CASE WHEN status = 'refunded' THEN gross_amount
    ELSE (gross_amount * (10 + mixed(order_id, 52) % 60) / 100)::DECIMAL(12, 2) END,
  CASE WHEN mixed(order_id, 53) % 10 < 8 THEN pick(order_id, 54, ['damaged', 'wrong item', 'too late', 'changed mind']) END
FROM orders
WHERE status = 'refunded' OR (status = 'delivered' AND mixed(order_id, 55) % 100 < 3);

-- Visits: one to nine events each; from view towards purchase fewer and fewer.
CREATE TEMP TABLE visit AS
SELECT session_id, 1 + mixed(session_id, 68) % 9 AS steps,
  (day + INTERVAL 6 HOUR)::TIMESTAMP + to_seconds(mixed(session_id, 67) % 64000) AS starts,
  CASE WHEN mixed(session_id, 61) % 100 < 60 THEN customer_of(session_id, 62) END AS customer_id,
  pick(session_id, 65, ['mobile', 'mobile', 'mobile', 'desktop', 'desktop', 'tablet']) AS device
FROM visited;

INSERT INTO web_events
SELECT n, session_id, customer_id, kind,
  CASE WHEN kind NOT IN ('search', 'checkout') THEN product_of(n, 63) END,
  starts + to_seconds(step * 40 + mixed(n, 64) % 40), device
FROM (
  SELECT *, CASE WHEN step > 4 AND luck < 12 THEN 'purchase' WHEN step > 3 AND luck < 30 THEN 'checkout'
    WHEN step > 1 AND luck < 45 THEN 'add_to_cart' WHEN luck > 85 THEN 'search' ELSE 'view' END AS kind
  FROM (
    SELECT *, mixed(n, 66) % 100 AS luck
    FROM (
      SELECT *, session_id * 10 + step AS n
      FROM (SELECT *, unnest(range(1, 1 + steps)) AS step FROM visit)
    )
  )
);
