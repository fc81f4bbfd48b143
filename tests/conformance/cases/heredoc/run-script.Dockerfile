FROM busybox
RUN <<EOF
echo one > /out
echo "$HOME ${HOME}" >> /out
false
echo after false >> /out
EOF
