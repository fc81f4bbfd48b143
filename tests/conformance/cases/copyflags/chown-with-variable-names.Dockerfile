#: args WHO=alice
FROM users
ARG WHO
ARG GRP=staff
COPY --chown=${WHO}:${GRP} a.txt /a
