FROM node:24.21.0-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# npm keeps TypeScript as an optional peer of a package that never loads it here.
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/typescript node_modules/@typescript

FROM node:24.21.0-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json ./
COPY migrations migrations
COPY views views
COPY src src
USER node
# Compiles the program once, by the flags that it is started with, so that a container need not.
ENV NODE_COMPILE_CACHE=/home/node/compiled
RUN ["node", "--max-semi-space-size=8", "--input-type=module", "--eval", "await import('/app/src/start.ts')"]
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=8", "src/main.ts"]
