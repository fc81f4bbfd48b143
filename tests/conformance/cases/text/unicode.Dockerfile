FROM busybox
ENV GRÜSSE="grüße 你好 🎉"
RUN echo "grüße 你好 🎉" > /ünï-🎉
LABEL ключ=значение
WORKDIR /каталог
