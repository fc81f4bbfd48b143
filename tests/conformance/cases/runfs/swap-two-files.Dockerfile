FROM odd
RUN mv /odd/setuid /t && mv /odd/setgid /odd/setuid && mv /t /odd/setgid
