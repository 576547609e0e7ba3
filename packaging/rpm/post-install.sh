systemd-sysusers logweir.conf || :
# Folders; while an image is built systemd-tmpfiles may not work, so that they are made by hand.
systemd-tmpfiles --create logweir.conf 2>/dev/null || {
    install -d -m 755 /etc/logweir/pipelines
    install -d -m 700 /etc/logweir/secrets
}
if [ "$1" = 1 ]; then
    systemctl preset logweir.service >/dev/null 2>&1 || :
else
    systemctl daemon-reload >/dev/null 2>&1 || :
fi
