#!/bin/sh
# Logs in, creates a task and lists tasks with curl, which asks for an upgrade to h2c.
set -eu
send() { curl --http2 --silent --show-error --fail-with-body -H 'Content-Type: application/json' "$@"; }

answer=$(send "$1/auth/login" -d "{\"email\": \"$2\", \"password\": \"$3\"}")
token=$(printf '%s' "$answer" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
send "$1/tasks" -H "Authorization: Bearer $token" -d '{"title": "made by a client"}' >/dev/null
send "$1/tasks" -H "Authorization: Bearer $token"
