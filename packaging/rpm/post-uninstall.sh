systemctl daemon-reload >/dev/null 2>&1 || :
if [ "$1" != 0 ]; then
    systemctl try-restart logweir.service >/dev/null 2>&1 || :
fi
