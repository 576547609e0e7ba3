systemd-sysusers logweir.conf || :
systemd-tmpfiles --create logweir.conf || :
if [ "$1" = 1 ]; then
    systemctl preset logweir.service >/dev/null 2>&1 || :
else
    systemctl daemon-reload >/dev/null 2>&1 || :
fi
