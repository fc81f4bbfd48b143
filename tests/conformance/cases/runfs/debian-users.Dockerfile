FROM debian
RUN useradd -m -u 1500 dev && install -d -o dev -g dev -m 2750 /srv/dev && rm -f /etc/passwd- /etc/shadow* /etc/group- /etc/gshadow* /etc/subuid* /etc/subgid* && rm -f /var/log/lastlog /var/log/faillog
USER dev
WORKDIR /home/dev/src
RUN id > out && pwd >> out
