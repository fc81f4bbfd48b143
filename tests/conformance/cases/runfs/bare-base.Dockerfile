FROM bare
RUN touch /f
