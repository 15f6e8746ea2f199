import { listErrors } from './shared-parts.js';

// The page around Swagger UI: a header above the operations, and reference material below them.
// Paths are relative to `/docs`, so that they work behind a proxy that adds a prefix.

/** `isDevelopment` says that the published credentials are accepted, and shows them. */
export function createDocsPage({ isDevelopment }: { isDevelopment: boolean }): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>Livegate API</title>
    <link rel="icon" href="docs/favicon-32x32.png" />
    <link rel="stylesheet" href="docs/swagger-ui.css" />
    <link rel="stylesheet" href="docs/page.css" />
    <script src="docs/swagger-ui-bundle.js" defer></script>
    <script src="docs/open-page.js" defer></script>
  </head>
  <body>
    <header class="page">
      <h1>Livegate API</h1>
      <p>Send one selfie; the answer says how likely the face is a spoof.</p>
      <nav>
        <a href="#errors">Errors</a>
        ${isDevelopment ? '<a href="#receiver">Try a webhook</a>' : ''}
        <a href="docs">Image as a file</a>
        <a href="docs?body=json">Image in JSON</a>
        <a href="openapi.json">openapi.json</a>
      </nav>
      <p>
        Press <strong>Authorize</strong> first: a request needs HTTP Basic and
        <code>x-api-key</code>, both of one credential.
      </p>
      ${isDevelopment ? developmentCredentials : ''}
    </header>
    <div id="docs"></div>
    <main class="page">
      ${errors}
      ${isDevelopment ? receiver : ''}
    </main>
  </body>
</html>
`;
}

const developmentCredentials = `<dl id="development-credentials">
        <div><dt>Username</dt><dd><code>default-username</code></dd></div>
        <div><dt>Password</dt><dd><code>default-password</code></dd></div>
        <div><dt>x-api-key</dt><dd><code>default-api-key</code></dd></div>
      </dl>
      <p>
        These are the development credentials, which no gateway accepts in production.
        <button type="button" id="use-development-credentials">Authorize with them</button>
      </p>`;

const errorRows = listErrors().map(
  ({ status, code, message }) =>
    `<tr><td>${status}</td><td><code>${code}</code></td><td>${escapeHtml(message)}</td></tr>`,
);

const errors = `<h2 id="errors">Errors</h2>
      <p>
        Every error is JSON with the members <code>status</code> ("failed"),
        <code>error_code</code>, <code>error_message</code>, <code>request_id</code> and
        <code>http_status</code>. A message may be more specific than the one below.
      </p>
      <table>
        <thead><tr><th>HTTP</th><th>error_code</th><th>error_message</th></tr></thead>
        <tbody>
          ${errorRows.join('\n          ')}
        </tbody>
      </table>`;

/** Listens on the port in the first example of an endpoint. */
const receiverProgram = `node -e '
require("node:http").createServer((req, res) => {
  req.on("data", (body) => console.log(String(body)));
  req.on("end", () => res.end("{}"));
}).listen(8099, "127.0.0.1")'`;

const receiver = `<h2 id="receiver">Try a webhook</h2>
      <ol>
        <li>
          Start a receiver in a terminal on the machine that Livegate runs on. It prints the messages
          it receives.
          <pre>${escapeHtml(receiverProgram)}</pre>
        </li>
        <li>Register an endpoint: execute the first example of
          <code>POST /v1/webhook-endpoints</code>.</li>
        <li>Execute <code>POST /v1/webhook-endpoints/{id}/test</code> with the <code>id</code> of the
          answer, or check a selfie.</li>
      </ol>
      <p>
        Livegate does not call private addresses unless they are allowed. <code>npm start</code>
        allows this machine; otherwise set
        <code>LIVEGATE_WEBHOOK_ALLOWED_ADDRESSES=127.0.0.1</code>.
      </p>`;

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/**
 * By default Swagger UI sends the document to an online validator, so `validatorUrl` is null. Its dark
 * theme has to be switched on by the page.
 */
export const openPage = `const dark = matchMedia('(prefers-color-scheme: dark)');
const followScheme = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', followScheme);
followScheme();

const ui = SwaggerUIBundle({
  url: 'openapi.json' + location.search,
  dom_id: '#docs',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null,
});

document.getElementById('use-development-credentials')?.addEventListener('click', () => {
  ui.preauthorizeBasic('basic', 'default-username', 'default-password');
  ui.preauthorizeApiKey('apiKey', 'default-api-key');
});
`;
