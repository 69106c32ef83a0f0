import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import "./styles/base.css";
import "./styles/forms.css";
import "./styles/home.css";
import "./styles/people.css";
import "./styles/workspace.css";
import "./styles/panel.css";
import "./styles/drawing.css";
import "./styles/motion.css";

createRoot(document.getElementById("root") as HTMLElement).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
