FROM debian
RUN python3 -c 1 2>/dev/null || setfattr -n user.x -v y /etc/hostname 2>/dev/null; true
