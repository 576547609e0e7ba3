if [ "$1" = 0 ]; then
    systemctl disable --now logweir.service >/dev/null 2>&1 || :
fi
