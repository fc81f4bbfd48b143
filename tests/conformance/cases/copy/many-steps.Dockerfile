FROM busybox
COPY a.txt /1
COPY b.txt /2
COPY c.md /3
COPY a.txt /4
RUN cat /1 /2 /3 /4 > /all
COPY . /everything
