FROM users
COPY --chown=nobodyhere a.txt /a
