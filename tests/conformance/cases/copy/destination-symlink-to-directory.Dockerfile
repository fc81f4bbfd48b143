#: context copy
FROM merged
COPY a.txt /abs/
COPY b.txt /rel/x
COPY c.md /up/
COPY a.txt /etc/through/
COPY script.sh /bin/script
