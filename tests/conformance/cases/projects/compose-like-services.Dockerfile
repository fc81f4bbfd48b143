#: target worker
#: file services/web/Dockerfile.txt w\n
#: file services/web/app.rb a\n
#: file services/worker/app.rb a\n
#: file shared/lib.rb l\n
FROM busybox AS common
WORKDIR /srv
COPY shared shared
ENV SHARED=/srv/shared
FROM common AS web
COPY services/web .
EXPOSE 3000
CMD ["web"]
FROM common AS worker
COPY services/worker .
COPY --from=web /srv/app.rb web.rb
CMD ["worker"]
FROM web
RUN false
