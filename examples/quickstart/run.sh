#!/bin/sh
# The quick start: Tollgate on Envoy, a mock provider behind it, one request and one fallback. Ctrl-C stops all of it.
# CONFIG=my.yaml serves that config, with the keys of the environment and no mock.
set -eu
cd "$(dirname "$0")/../.."

port=${PORT:-4000}
url=http://127.0.0.1:$port
mock=http://127.0.0.1:8081
pids=

stop() {
    trap '' EXIT INT TERM
    for pid in $pids; do kill "$pid" 2>/dev/null || :; done
    wait
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start COMMAND...: in the background, stopped at the end
start() {
    "$@" &
    pids="$! $pids"
}

# until_ready URL: until it answers 200; ends with the process started last
until_ready() {
    while sleep 0.2; do
        kill -0 "${pids%% *}" 2>/dev/null || { wait "${pids%% *}" || exit $?; exit 1; }
        ! curl -fs -o /dev/null "$1" || return 0
    done
}

# serve: until Tollgate, started last, ends
serve() {
    wait "${pids%% *}" || exit $?
    exit
}

# ask: one request, with the headers that say what became of it
ask() {
    echo
    echo "\$ $1"
    curl -s -D - "$url/v1/chat/completions" -H "authorization: Bearer $HARBOR_APP_KEY" \
        -H 'content-type: application/json' \
        -d '{"model": "harbor-fast", "messages": [{"role": "user", "content": "Ahoy!"}]}' |
        tr -d '\r' | grep -E '^(HTTP|x-tollgate-|\{)'
}

command -v curl >/dev/null || { echo "curl is missing" >&2; exit 1; }
if [ -n "${CONFIG:-}" ]; then
    start dist/tollgate run --config "$CONFIG" --port "$port"
    until_ready "$url/health/readiness"
    echo "Point an OpenAI client at $url/v1, with one of your keys. Ctrl-C stops."
    serve
fi

export OPENAI_API_KEY="${OPENAI_API_KEY:-sk-mock}" ANTHROPIC_API_KEY="${ANTHROPIC_API_KEY:-sk-mock}"
export TOLLGATE_MASTER_KEY="${TOLLGATE_MASTER_KEY:-sk-master}"
export HARBOR_APP_KEY="${HARBOR_APP_KEY:-sk-harbor-app}" HARBOR_BATCH_KEY="${HARBOR_BATCH_KEY:-sk-harbor-batch}"

start dist/mock-provider --port 8081
until_ready "$mock/_mock/health"
start dist/tollgate run --config examples/quickstart/config.yaml --port "$port"
until_ready "$url/health/readiness"

ask "one request: harbor-fast is OpenAI's gpt-4o-mini"
curl -s -o /dev/null "$mock/_mock/script?match=/v1/chat/completions" -d status=503
ask "OpenAI is down: the same request falls back to Anthropic"
curl -s -o /dev/null -X DELETE "$mock/_mock/script"

cat <<END

Try it:
  curl $url/v1/chat/completions -H 'authorization: Bearer $HARBOR_APP_KEY' -H 'content-type: application/json' \\
    -d '{"model": "harbor-quality", "stream": true, "messages": [{"role": "user", "content": "Ahoy!"}]}'

  python3 -c 'from openai import OpenAI
client = OpenAI(base_url="$url/v1", api_key="$HARBOR_APP_KEY")
print(client.chat.completions.create(model="harbor-fast", messages=[{"role": "user", "content": "Ahoy!"}]))'

  curl $url/key/info -H 'authorization: Bearer $HARBOR_APP_KEY'      # what this key has spent
  curl http://127.0.0.1:9901/stats/prometheus | grep ^tollgate     # metrics

A change to examples/quickstart/config.yaml is taken up while it serves. Ctrl-C stops.
END
serve
