FROM busybox
RUN umask > /umask; touch /f; mkdir /d; umask 077; touch /g; mkdir /e
