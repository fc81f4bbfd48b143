#: file pom.xml <project/>\n
#: file module-a/pom.xml <project/>\n
#: file module-b/pom.xml <project/>\n
#: file module-a/src/main/java/A.java class A {}\n
#: file module-b/src/main/java/B.java class B {}\n
#: file target/old.jar old\n
#: file .dockerignore **/target\n
FROM busybox AS build
WORKDIR /workspace
COPY --parents **/pom.xml ./
RUN find . -name pom.xml | sort > poms
COPY --parents module-*/src ./
RUN --mount=type=cache,target=/root/.m2 find . -name '*.java' | sort | xargs cat > app.jar
RUN mkdir -p extracted/dependencies extracted/spring-boot-loader extracted/snapshot-dependencies extracted/application/BOOT-INF && touch extracted/application/BOOT-INF/classpath.idx
FROM busybox
ARG JAR_FILE=/workspace/app.jar
ARG EXTRACTED=/workspace/extracted
ENV JAVA_HOME=/opt/java JAVA_OPTS=""
ENV PATH=$JAVA_HOME/bin:$PATH
WORKDIR /app
COPY --from=build ${EXTRACTED}/dependencies/ ./
COPY --from=build ${EXTRACTED}/spring-boot-loader/ ./
COPY --from=build ${EXTRACTED}/snapshot-dependencies/ ./
COPY --from=build ${EXTRACTED}/application/ ./
COPY --from=build ${JAR_FILE} app.jar
EXPOSE 8080
ENTRYPOINT exec java $JAVA_OPTS -jar app.jar
