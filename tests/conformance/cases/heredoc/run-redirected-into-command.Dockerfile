FROM busybox
RUN cat > /one <<A && cat > /two <<"B"
first $HOME
A
second $HOME
B
