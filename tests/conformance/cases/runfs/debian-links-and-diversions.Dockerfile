FROM debian
RUN ln -sf /bin/dash /usr/local/bin/sh2 && update-alternatives --install /usr/local/bin/pg pager /bin/more 1 >/dev/null 2>&1; rm -f /var/log/alternatives.log; ls -l /etc/alternatives/pager | sed 's/.*-> //' > /out
