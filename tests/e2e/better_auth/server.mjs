// Better Auth on loopback, in a schema of its own beside Ibid's tables. All it needs is in the environment:
// PORT, DATABASE_URL, BETTER_AUTH_URL, BETTER_AUTH_SECRET, JWT_LIFE, ROTATION, ALGORITHM.
import http from "node:http";
import pg from "pg";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { bearer, jwt } from "better-auth/plugins";

const env = process.env;

const auth = betterAuth({
  baseURL: env.BETTER_AUTH_URL,
  secret: env.BETTER_AUTH_SECRET,
  database: new pg.Pool({
    connectionString: env.DATABASE_URL,
    options: "-c search_path=better_auth",
    max: 3,
  }),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  plugins: [
    bearer(),
    jwt({
      jwks: {
        rotationInterval: Number(env.ROTATION),
        gracePeriod: 3600,
        keyPairConfig: { alg: env.ALGORITHM },
      },
      jwt: {
        issuer: env.BETTER_AUTH_URL,
        audience: "ibid",
        expirationTime: env.JWT_LIFE,
        definePayload: ({ session }) => ({ sid: session.id }),
      },
    }),
  ],
});

const { runMigrations } = await getMigrations(auth.options);
await runMigrations();
const server = http.createServer(toNodeHandler(auth));
server.listen(Number(env.PORT), "127.0.0.1", () => console.log("listening"));
process.on("SIGTERM", () => process.exit(0));
