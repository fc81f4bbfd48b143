FROM busybox
RUN printf '\000\001\377\n' && printf '\033[31mred\033[0m\r\n' && touch /out
