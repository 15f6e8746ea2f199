/** Hides Swagger UI's header, which the page replaces, its single server and its empty links column. */
export const pageStyle = `:root {
  --text: #3b4151;
  --line: #d8dde7;
  --fill: #f3f5f9;
  --link: #2f6fb5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e4e6e6;
    --line: #4a5257;
    --fill: #0d1014;
    --link: #8ab8e8;
  }
  body {
    background: #1c2022;
  }
}
body {
  margin: 0;
}
.page {
  box-sizing: border-box;
  max-width: 1460px;
  margin: 0 auto;
  padding: 20px;
  color: var(--text);
  font: 16px/1.5 sans-serif;
  overflow-wrap: anywhere;
}
.page h1,
.page h2 {
  margin: 0 0 8px;
  line-height: 1.2;
}
.page p,
.page dl {
  margin: 0 0 12px;
}
.page a {
  color: var(--link);
}
.page nav {
  display: flex;
  flex-wrap: wrap;
  gap: 4px 20px;
  margin-bottom: 16px;
}
.page dl {
  display: flex;
  flex-wrap: wrap;
  gap: 4px 24px;
  padding: 8px 12px;
  border: 1px solid var(--line);
  border-radius: 4px;
  background: var(--fill);
}
.page dl div {
  display: flex;
  gap: 8px;
}
.page dd {
  margin: 0;
}
.page pre {
  overflow-x: auto;
  margin: 8px 0;
  padding: 12px;
  border: 1px solid var(--line);
  background: var(--fill);
  font-size: 14px;
}
.page ol {
  padding-left: 24px;
}
.page table {
  width: 100%;
  margin-bottom: 32px;
  border-collapse: collapse;
  font-size: 14px;
}
.page th,
.page td {
  padding: 6px 12px 6px 0;
  border-bottom: 1px solid var(--line);
  text-align: left;
  vertical-align: top;
}
.page button {
  padding: 4px 12px;
  font: inherit;
}
@media (max-width: 640px) {
  .page thead {
    display: none;
  }
  .page tr {
    display: grid;
    grid-template-columns: 48px 1fr;
    padding: 6px 0;
    border-bottom: 1px solid var(--line);
  }
  .page td {
    padding: 0;
    border: 0;
  }
  .page td:last-child {
    grid-column: 2;
  }
  .swagger-ui .opblock .opblock-section-header {
    flex-wrap: wrap;
    gap: 16px;
  }
  .swagger-ui .opblock .tab-header {
    flex-basis: 100%;
  }
}
.swagger-ui .information-container,
.swagger-ui .response-col_links,
.swagger-ui .scheme-container .schemes > .schemes-server-container {
  display: none;
}
.swagger-ui .scheme-container {
  margin: 0;
  padding: 0;
  background: none;
  box-shadow: none;
}
.swagger-ui .scheme-container .auth-wrapper {
  justify-content: flex-start;
}
`;
