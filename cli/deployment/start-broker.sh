#!/bin/sh
# Starts the broker. Before its first start, while nobody else can reach it, the collector's session is made with its
# subscriptions: from then on what the broker acknowledges is kept for the collector, also before that was ever connected.
# By `greenmine init`; what stands between at signs was filled in.
set -eu
PATH="$PATH:/usr/sbin:/usr/local/sbin"
state=@state@
files=@files@
configuration=@files@/mosquitto.conf

if [ ! -e "$state/mosquitto.db" ] && ! command -v mosquitto_sub >/dev/null; then
    echo "mosquitto_sub is missing (Debian: apt-get install mosquitto-clients): what comes before the worker's first connection is lost" >&2
elif [ ! -e "$state/mosquitto.db" ]; then
    first="$(mktemp)"
    cat >"$first" <<END
listener @first_port@ 127.0.0.1
allow_anonymous true
user @user@
persistence true
persistence_location $state/
log_dest stderr
log_type error
END
    set --
    # What the account `collector` may read is what it subscribes to; of the broker's own figures nothing is kept.
    while read -r word right topic; do
        case "$word" in
            user) account=$right ;;
            topic)
                case "$topic" in '$SYS/'*) continue ;; esac
                if [ "$account" = collector ] && [ "$right" = read ]; then set -- "$@" -t "$topic"; fi
                ;;
        esac
    done <"$files/acl"
    mosquitto -c "$first" &
    broker=$!
    tries=0
    until mosquitto_sub -h 127.0.0.1 -p @first_port@ -u collector -i collector -c -q 1 -E "$@" 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -ge 100 ]; then
            kill "$broker" 2>/dev/null || true
            echo "the collector's session could not be made at the broker" >&2
            exit 1
        fi
        sleep 0.1
    done
    kill "$broker"
    wait "$broker" || true
    rm -f "$first"
fi
exec mosquitto -c "$configuration"
