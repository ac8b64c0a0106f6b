#!/bin/sh
# Makes what docker-compose.yml keeps secret, each in a file of its own beside this one in secrets/. What is there stays.
set -eu
umask 077
mkdir -p "${1:-$(dirname "$0")/secrets}"
cd "${1:-$(dirname "$0")/secrets}"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

for name in signing_key valkey_password postgres_password history_password reader_password s3_secret_key grafana_password; do
	[ -s "$name" ] || random >"$name"
done

# to be filled by you: the key of the model that answers questions, and Prometheus's token
for name in model_key metrics_token; do
	[ -e "$name" ] || : >"$name"
done

# Without a password a health check may ask whether Valkey is there. Our user may not stop it, set it up or empty it.
hash=$(printf %s "$(cat valkey_password)" | sha256sum | cut -d' ' -f1)
{
	echo "user default on nopass -@all +ping"
	echo "user awaitsql on #$hash ~* &* +@all -@admin -@dangerous +info +keys +sort"
} >valkey_users

printf '{"identities": [{"name": "awaitsql", "credentials": [{"accessKey": "awaitsql", "secretKey": "%s"}], "actions": ["Read:awaitsql", "Write:awaitsql", "List:awaitsql"]}]}\n' \
	"$(cat s3_secret_key)" >s3_users

# The folder is closed to others; in a container a file belongs to somebody else, who must read it.
chmod 0644 ./*
